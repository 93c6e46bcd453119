"""From predictions to a submission, its ledger row and its report."""
