/*
 * The scenario that `flowmob lab demo` plays; its text is lab/demo.scenario.
 */
#ifndef FM_LAB_DEMO_H
#define FM_LAB_DEMO_H

extern const char fm_lab_demo_text[];
extern const char fm_lab_demo_story[];

#endif
