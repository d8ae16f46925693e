namespace Tessera.Models.Formats.HuggingFace;

/// <summary>The options of an adapter, <c>adapter_config.json</c>: which of PEFT's are understood. What is not known is refused unless it
/// says nothing (null, false, empty), since it may change what the adapter computes.</summary>
internal static class PeftConfig
{
    // What is read here, or says how an adapter was made, not what it computes.
    private static readonly HashSet<string> s_understood = new(StringComparer.Ordinal)
    {
        "peft_type", "peft_version", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode",
        "r", "rank_pattern", "lora_alpha", "alpha_pattern", "use_rslora", "lora_dropout", "fan_in_fan_out", "bias",
        PeftInitialization.Key, "corda_config", "eva_config", "loftq_config", "lora_ga_config",
        "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "megatron_core", "qalora_group_size",
    };

    /// <summary>Throws unless an adapter is one of those that are done here.</summary>
    /// <exception cref="InvalidDataException">An option asks for something else, or is not known.</exception>
    public static void RequireSupported(HuggingFaceConfig config)
    {
        config.Require(config.Text("peft_type", "") == "LORA", "peft_type", config.Text("peft_type", "missing"), "LORA");
        config.Require(config.Text("bias", "none") == "none", "bias", config.Text("bias", "none"), "none");
        PeftInitialization.RequireKnown(config);
        foreach (var key in config.Keys)
        {
            if (s_understood.Contains(key) || !config.Says(key)) continue;
            throw config.Problem(key, config.Shown(key), "null or false: what it stands for is not done here");
        }
    }
}
