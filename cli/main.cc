#include <unistd.h>

#include <iostream>

#include "cli/offerctl.h"

int main(int argc, char** argv) {
  offerd::cli::Session session{.out = std::cout, .err = std::cerr, .err_is_terminal = isatty(STDERR_FILENO) != 0, .connection = {}, .json = false, .action = nullptr};
  return offerd::cli::RunOfferctl({argv + 1, argv + argc}, session);
}
