"""Record linkage: whose, of which examination and of which device an input is, by the evidence it carries. Pure; see docs/linkage.md."""
