// The summary that AutoLog prints: environment, options and times.
#ifndef PPCLS_SUMMARY_H_
#define PPCLS_SUMMARY_H_

#include <string>

#include "model.h"
#include "predictor.h"
#include "settings.h"

namespace ppcls {

// Several lines without a line end at the last. Throws UserError where no image was predicted.
std::string Summary(const Predictor& predictor, const ModelConfig& model, const Settings& settings);

// Milliseconds per image for each part, and images per second of the whole.
std::string TimingLine(const Timing& timing, int batch_size, int workers);

// CPU cores that this process may use.
int UsableCores();

}  // namespace ppcls

#endif  // PPCLS_SUMMARY_H_
