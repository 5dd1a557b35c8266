"""What is measured; each scenario takes the run and adds its figures to it."""
