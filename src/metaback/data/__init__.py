"""Reading trial tables: files and frames in, one checked table out."""
