// Package record owns what travels between the stages: the protobuf records of
// record.proto, their keys, versions and places, and the state of an item that
// they add up to.
//
// It never does I/O. FORMAT.md beside it describes each byte; the files in
// testdata are its examples.
package record
