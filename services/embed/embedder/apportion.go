package embedder

import "slices"

// apportion divides a total by positive weights, so that the shares sum up to it: each has the
// whole part of its own, and what is left goes to the largest remainders, to the first of equal
// ones (Hamilton's method).
func apportion(total int64, weights []int64) []int64 {
	whole := sum(weights)
	shares, rest := make([]int64, len(weights)), make([]int64, len(weights))
	order := make([]int, len(weights))
	left := total
	for i, w := range weights {
		shares[i], rest[i], order[i] = total*w/whole, total*w%whole, i
		left -= shares[i]
	}
	slices.SortStableFunc(order, func(i, j int) int { return int(rest[j] - rest[i]) })
	for _, i := range order[:left] {
		shares[i]++
	}
	return shares
}
