"""The shell of every staff page: sign-in, permissions, base template, rendering."""
