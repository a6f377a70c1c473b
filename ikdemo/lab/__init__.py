"""What a notebook imports: start and stop plugin processes, break things, look at what happened."""
