#!/usr/bin/env python3
"""Writes a text file as a C string: embed.py INPUT OUTPUT NAME."""
import sys

text = open(sys.argv[1], encoding="utf-8").read()
with open(sys.argv[2], "w", encoding="utf-8") as out:
    out.write('#include "lab/demo.h"\n\nconst char %s[] =\n' % sys.argv[3])
    for line in text.splitlines():
        out.write('\t"%s\\n"\n' % line.replace("\\", "\\\\").replace('"', '\\"'))
    out.write("\t;\n")
