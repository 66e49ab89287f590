"""Intent → Query API request → result. Pure: no I/O."""
