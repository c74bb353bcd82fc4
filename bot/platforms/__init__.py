"""Each platform translates: its updates into our events, our actions into its calls. None of them thinks."""
