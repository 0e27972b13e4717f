// `retort`: the command line and the measuring worker, without Qt.
int main() { return 2; }
