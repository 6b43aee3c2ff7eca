package service

import (
	"os"
	"runtime/debug"
)

// CollectOften has garbage collected when the heap has grown by half, unless GOGC says otherwise. It is for services whose
// heap is vectors on their way, in which a collection has nothing to look for: it costs little, and a quarter of the memory
// is free.
func CollectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}
