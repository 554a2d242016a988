"""Settings and the formats of their values. Pure data: nothing here looks at the machine."""
