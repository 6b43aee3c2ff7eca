package main

import (
	"os"
	"testing"
)

// The tests run their own binary as freshet where they need a process of it.
func TestMain(m *testing.M) {
	if os.Getenv("FRESHET_TEST_RUN") == "freshet" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}
