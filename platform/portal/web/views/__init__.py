"""Views: fetch what this user may see, call a form or a service, render. Nothing is decided here."""
