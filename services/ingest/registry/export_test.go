package registry

import "time"

// Wind has the registry read another clock.
func (r *Registry) Wind(now func() time.Time) { r.now = now }
