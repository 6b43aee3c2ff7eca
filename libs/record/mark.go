package record

// Mark returns what a dead letter of d leaves on its item: a searcher can see that a
// newer change exists. It has d's source order: without it, an older change that its
// source appends late would be taken for a newer one.
func (d *Document) Mark(reason string) *Document {
	return &Document{
		Op: Op_OP_FAILED, Collection: d.GetCollection(), Tenant: d.GetTenant(), Id: d.GetId(), Pipeline: d.GetPipeline(),
		Sources: d.GetSources(), Origin: d.GetOrigin(), Failed: &Failure{Reason: reason},
	}
}

// Mark returns the mark of v's document, with v's own version: with another one the
// letter could not be redriven below a change that came after it.
func (v *Vector) Mark(reason string) *Vector {
	return &Vector{
		Document: v.GetDocument().Mark(reason), Version: v.GetVersion(), VersionOrigin: v.GetVersionOrigin(),
		State: VectorState_VECTOR_STATE_NONE,
	}
}
