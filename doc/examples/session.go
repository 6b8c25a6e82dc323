// A connection to an address from a session-lasting source, by the plain socket option: no library.
//
//	go run session.go '[2001:db8:ffff::1]:22'
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	addrPreferences = 72      // IPV6_ADDR_PREFERENCES
	sessionLasting  = 2 << 16 // bits 16 to 19: the type
	typeMask        = 15 << 16
)

// Runs before connect: asks, and reads back, as a stack without flowmob takes the bits and ignores them.
func ask(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		s := int(fd)
		err := syscall.SetsockoptInt(s, syscall.IPPROTO_IPV6, addrPreferences, sessionLasting)
		got, _ := syscall.GetsockoptInt(s, syscall.IPPROTO_IPV6, addrPreferences)
		if err != nil || got&typeMask != sessionLasting {
			fmt.Fprintln(os.Stderr, "no session-lasting addresses here")
		}
	})
}

func main() {
	dialer := net.Dialer{Control: ask, Timeout: 5 * time.Second}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := dialer.Dial("tcp6", os.Args[1])
		if err == nil {
			fmt.Println("from", conn.LocalAddr())
			conn.Close()
			return
		}
		// EAGAIN: the address is on its way. EADDRNOTAVAIL: it was refused.
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(end) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
