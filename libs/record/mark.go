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
// letter could not be redriven below a change that came after it. The dead letter of a
// completion is no change: its item learns that the text gets no vector.
func (v *Vector) Mark(reason string) *Vector {
	if v.GetDocument().GetOp() == Op_OP_COMPLETION_REQUEST {
		return &Vector{
			Document: v.GetDocument(), Version: v.GetVersion(), VersionOrigin: v.GetVersionOrigin(), Space: v.GetSpace(),
			Fingerprint: v.GetFingerprint(), State: VectorState_VECTOR_STATE_FAILED, FailedReason: reason,
		}
	}
	return &Vector{
		Document: v.GetDocument().Mark(reason), Version: v.GetVersion(), VersionOrigin: v.GetVersionOrigin(),
		State: VectorState_VECTOR_STATE_NONE,
	}
}
