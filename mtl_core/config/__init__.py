"""An experiment: typed, validated, the single source of names, bounds, defaults and help texts. No torch."""
