"""Chain: one thin software-defined asset per step, one file per stage. Bodies call one function and report."""
