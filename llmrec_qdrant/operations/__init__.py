"""What each method of the recommender does, step by step, as sans-I/O generators."""
