"""Tables, pages and pictures made from the files of runs."""
