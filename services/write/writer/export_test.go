package writer

import "time"

// SweepNow has the next Keep sweep, whatever the time.
func (k *Keeper) SweepNow(partition int32) { k.parts[partition].sweepAt = time.Time{} }

// Fail is what a call to the index that failed leaves behind.
func (k *Keeper) Fail() { k.writer.outages.add() }

// SealOf is the seal of collections.
func SealOf(serial int64, life string, names ...string) string {
	return (&Keeper{names: names}).seal(&part{serial: serial, life: life})
}
