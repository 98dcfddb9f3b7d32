#include "settings.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "array.hpp"
#include "facts.hpp"
#include "section.hpp"

namespace reann {

namespace {

constexpr size_t most_outputs = 1000, longest_name = 200;
constexpr const char *characters = // of a name
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
constexpr double largest_number = 1e6; // of a length in Å, or of a fraction
constexpr double least_smearing = 1e-2; // Å
constexpr double most_weights = 2e8;   // 1.6 GB in double precision

NetworkSettings network(const Json &object, const char *name) {
    const Section section(object, name);
    NetworkSettings settings;
    for (const Json &width : section.list("hidden"))
        settings.hidden.push_back(section.as_count(width, "hidden", 1, largest_count));
    settings.blocks = section.count("blocks", 0);
    settings.residual = section.flag("residual");
    settings.activation = section.choice<Activation>("activation", activation_names);
    settings.layer_norm = section.flag("layer_norm");
    section.no_other();
    // A block whose output is added to its input, or is the input of the next block, must have equal widths
    // at both ends.
    const bool returns = settings.blocks > 1 || (settings.blocks == 1 && settings.residual);
    if (returns && settings.hidden.front() != settings.hidden.back()) section.wrong("hidden");
    return settings;
}

std::vector<int> elements(const Section &header) {
    std::vector<int> numbers;
    for (const Json &symbol : header.list("elements")) {
        const auto known = std::find(symbols + 1, symbols + heaviest + 1, symbol.string);
        const int number = static_cast<int>(known - symbols);
        if (number > heaviest || std::count(numbers.begin(), numbers.end(), number) > 0)
            header.wrong("elements");
        numbers.push_back(number);
    }
    return numbers;
}

// The features of the density; by default, as many contracted orbitals as there are products.
void features(const Section &model, Settings &settings) {
    const auto kind = model.choice<Features>("features", features_names);
    settings.gram = kind != Features::orbitals;
    settings.many_body = kind == Features::many_body && settings.l_max >= 2;
    settings.orbitals_per_l = model.flag("orbitals_per_l");
    settings.orbitals_per_recursion = model.flag("orbitals_per_recursion");
    const int64_t n = settings.n_radial, products = n * (n + 1) / 2;
    const int64_t of_all_l = products * (settings.l_max + 1);
    if (of_all_l > largest_count) model.wrong("n_radial");
    const Json &given = model.field("n_orbitals");
    settings.n_orbitals = settings.many_body ? orbitals_of_many
                                             : static_cast<int>(settings.orbitals_per_l ? products : of_all_l);
    if (given.kind != Json::Kind::null)
        settings.n_orbitals = model.as_count(given, "n_orbitals", 1, largest_count);
}

void zbl(const Json &object, Settings &settings) {
    settings.zbl = object.kind != Json::Kind::null;
    if (!settings.zbl) return;
    const Section section(object, "model.zbl");
    settings.zbl_inner = section.number("inner", 0.0, largest_number);
    settings.zbl_outer = section.number("outer", 0.0, largest_number);
    if (settings.zbl_inner >= settings.zbl_outer) section.wrong("outer");
    section.no_other();
}

// Charges whose Coulomb energy the caller computes.
void long_range(const Section &model, const Json *object, Settings &settings) {
    if (!object || model.field("long_range").kind == Json::Kind::null) return;
    const Section section(*object, "model.long_range");
    section.constant("kind", "charges");
    settings.smearing = section.number("smearing", least_smearing, largest_number);
    const std::string &charges = section.field("charges").string;
    settings.equilibrated = charges == "equilibrated";
    if (charges != "latent" && !settings.equilibrated) section.wrong("charges");
    section.no_other();
    if (!settings.equivariant) model.wrong("long_range");
}

// Parts of the energy that only Python computes.
void refuse_parts_of_python(const Json &model) {
    for (const char *part : {"inputs", "dispersion"})
        if (const Json *value = model.find(part); value && value->kind != Json::Kind::null)
            throw Error(std::string("The energy of this potential depends on model.") + part + ", which the "
                        "C++ engine does not support: use it in Python, by `reann md` or the ASE calculator.");
}

// The engine computes orbitals from their products, and first layers act on the products. These have many
// more numbers than the file, so that the length of the file does not limit them.
void check_size(const Section &model, const Settings &settings) {
    const double n_l = settings.l_max + 1, n = settings.n_radial;
    const double products = n_l * n * (n + 1) / 2 + (settings.many_body ? 3.0 * settings.n_orbitals : 0.0);
    const double n_features = (settings.orbitals_per_l ? n_l : 1.0) * settings.n_orbitals;
    const double n_first = settings.readout.hidden[0] +
                           static_cast<double>(settings.n_recursions) * settings.update.hidden[0];
    const double n_elements = static_cast<double>(settings.elements.size());
    const double per_layer = 14.0 * n_elements * settings.n_channels * static_cast<double>(settings.n_channels);
    if (settings.equivariant && per_layer * (settings.n_recursions + 1.0) > most_weights) model.wrong("channels");
    if (products * std::max(settings.gram ? 0.0 : n_features, n_elements * n_first) > most_weights)
        model.wrong("n_radial");
}

// The outputs that are read off the states, in their order; older files do not have this field.
void outputs(const Section &header, const Json *list, Settings &settings) {
    if (!list) return;
    const auto wrong = [&] { header.wrong("state_outputs"); };
    if (list->kind != Json::Kind::list || list->values.size() > most_outputs) wrong();
    for (const Json &value : list->values) {
        const Section section(value, "state_outputs");
        const std::string &name = section.field("weights").string;
        const int l = section.count("l", 0, std::min(settings.l_max, 2));
        for (const OutputSettings &other : settings.outputs)
            if (other.weights == name) wrong();
        const bool right = !name.empty() && name.size() <= longest_name &&
                           name.find_first_not_of(characters) == std::string::npos;
        if (!right || !settings.equivariant) wrong();
        section.no_other();
        settings.outputs.push_back({name, l});
    }
}

void check_units(const Json &object) {
    const Section units(object, "units");
    units.constant("energy", energy_unit);
    units.constant("length", length_unit);
    units.no_other();
}

} // namespace

Settings parse_settings(const std::string &text) {
    const Json json = parse_json(text);
    const Section header(json, "header"), model(header.field("model"), "model");
    refuse_parts_of_python(header.field("model"));
    Settings settings;
    settings.elements = elements(header);
    settings.float64 = header.choice<Precision>("precision", precision_names) == Precision::float64;
    check_units(header.field("units"));
    for (const Json &member : header.list("members"))
        if (member.kind != Json::Kind::object) header.wrong("members");
    settings.n_members = static_cast<int>(header.list("members").size());

    if (const std::string host = model.newer_word("host", default_host); host != default_host)
        throw Error(std::string("The native engine supports only the host ") + default_host + ", not " +
                    host + ".");
    model.newer("host_options"); // of other hosts
    settings.cutoff = model.number("cutoff", 1e-3, largest_number);
    header.number("cutoff", settings.cutoff, settings.cutoff); // the header contains it twice
    settings.l_max = model.count("l_max", 0, highest_l_max);
    settings.n_radial = model.count("n_radial");
    settings.n_recursions = model.count("n_recursions", 0);
    features(model, settings);
    const auto messages = model.as_choice<Messages>(model.newer_word("messages", default_messages),
                                                    "messages", messages_names);
    const bool directional = messages == Messages::directional;
    settings.directional = directional && settings.l_max > 0 && settings.n_recursions > 0;
    settings.equivariant = messages == Messages::equivariant;
    settings.n_channels = model.newer_count("channels", 1);
    settings.bessel = model.as_choice<RadialBasis>(model.newer_word("radial_basis", default_basis), "radial_basis",
                                                   radial_basis_names) == RadialBasis::bessel;
    settings.moment_limit = model.newer_number("moment_limit", least_limit, largest_number);
    settings.field = model.newer_flag("field");
    if (settings.field && !settings.equivariant) model.wrong("field");
    if (settings.equivariant && (settings.l_max < 1 || settings.l_max > 3)) model.wrong("l_max");
    if (settings.equivariant && settings.n_radial > most_basis) model.wrong("n_radial");
    settings.unit_vectors = model.choice<Angular>("angular", angular_names) == Angular::unit;
    settings.radial_per_pair = model.choice<Radial>("radial", radial_names) == Radial::pair;
    settings.radial_softplus =
        model.choice<RadialWidth>("radial_width", radial_width_names) == RadialWidth::softplus;
    settings.polynomial_cutoff = model.choice<CutoffFunction>("cutoff_function", cutoff_function_names) ==
                                 CutoffFunction::polynomial;
    settings.standardize = model.flag("standardize");
    settings.readout = network(model.field("readout"), "model.readout");
    settings.update = network(model.field("update"), "model.update");
    model.newer("outputs"); // the energy does not depend on them
    model.newer("output_forms");
    model.newer("induction");
    const std::vector<std::string> heads = model.newer_words("heads", default_head);
    if (heads.empty()) throw Error("The model has no energy, which the native engine needs.");
    if (heads.size() > 1)
        throw Error("The native engine supports one head only, and this model has " +
                    std::to_string(heads.size()) + ".");
    settings.head = heads.front();
    if (settings.head.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos)
        model.wrong("heads");
    zbl(model.field("zbl"), settings);
    settings.repulsion = model.newer_flag("repulsion");
    long_range(model, header.field("model").find("long_range"), settings);
    model.field("preset");            // the preset from which the user took the other settings
    model.field("coefficient_scale"); // an array of the model
    model.no_other();
    outputs(header, json.find("state_outputs"), settings);
    check_size(model, settings);
    return settings;
}

} // namespace reann
