package chaos

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T, latency time.Duration) (*host, net.Conn, net.Conn) {
	t.Helper()
	n := newNetwork(1)
	l, err := n.Listen("tcp", "any")
	if err != nil {
		t.Fatal(err)
	}
	h := n.Host(latency)
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	mine, err := h.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return h, mine, <-accepted
}

func TestConn_bringsBytesInOrderAndLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, mine, theirs := pair(t, time.Second)
		start := time.Now()
		for _, s := range []string{"a", "b", "c"} {
			if _, err := mine.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 3)
		if _, err := io.ReadFull(theirs, got); err != nil || string(got) != "abc" {
			t.Errorf("got %q: %v", got, err)
		}
		if took := time.Since(start); took < 100*time.Millisecond || took > time.Second {
			t.Errorf("it took %s, the latency is at most 1 s", took)
		}
		_ = mine.Close()
		if _, err := theirs.Read(got); !errors.Is(err, io.EOF) {
			t.Errorf("after the close: %v", err)
		}
	})
}

func TestConn_keepsItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, mine, _ := pair(t, 0)
		for name, before := range map[string]func(){"idle": func() {}, "frozen": h.Freeze} {
			before()
			_ = mine.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := mine.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.Thaw()
	})
}

func TestHost_isSilentWhileFrozenAndGoesOnThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, mine, theirs := pair(t, time.Millisecond)
		h.Freeze()
		start := time.Now()
		time.AfterFunc(time.Hour, h.Thaw)
		go func() { _, _ = theirs.Write([]byte("x")) }()
		if _, err := mine.Read(make([]byte, 1)); err != nil || time.Since(start) < time.Hour {
			t.Errorf("read after %s: %v", time.Since(start), err)
		}
	})
}

func TestHost_isRefusedWhileDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, mine, theirs := pair(t, time.Millisecond)
		h.Disconnect()
		if _, err := mine.Write([]byte("x")); err == nil {
			t.Error("a broken connection takes bytes")
		}
		if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the other end: %v", err)
		}
		if _, err := h.Dial(t.Context(), "tcp", theirs.LocalAddr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling: %v", err)
		}
	})
}

func TestHost_waitsInDialOnceItIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, theirs := pair(t, time.Millisecond)
		h.Kill()
		h.Thaw() // no life comes of it
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := h.Dial(ctx, "tcp", theirs.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialling: %v", err)
		}
	})
}
