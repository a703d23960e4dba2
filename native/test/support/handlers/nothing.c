/* A shared object that is no handler. */
int ksocket_nothing(void) {
  return 0;
}
