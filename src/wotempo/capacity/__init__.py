"""How large a run is: measured steps, what follows from them, and the machine that is asked for."""
