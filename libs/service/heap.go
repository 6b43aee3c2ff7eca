package service

import "runtime/debug"

// CollectOften has garbage collected when the heap has grown by half, unless GOGC says otherwise. It is for services whose
// heap is vectors on their way, in which a collection has nothing to look for: it costs little, and a quarter of the memory
// is free.
func CollectOften() {
	const usual = 100
	if set := debug.SetGCPercent(50); set != usual {
		debug.SetGCPercent(set)
	}
}
