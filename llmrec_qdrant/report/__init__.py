"""Pictures of a space: Plotly figures for notebooks, and a report as one HTML file."""
