"""Models from hubs: repository names, selection of files, downloads."""
