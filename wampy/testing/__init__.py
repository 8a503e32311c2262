"""What tests of WAMP programs need: Routers to run against."""
