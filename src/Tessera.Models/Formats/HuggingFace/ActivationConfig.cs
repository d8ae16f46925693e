using System.Text.Json.Nodes;
using Tessera.Nn;
using Tessera.Nn.FeedForward;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>The hidden layer of a feed-forward by the name that <c>config.json</c> gives its activation; transformers knows several names
/// for one function.</summary>
internal static class ActivationConfig
{
    /// <summary>Whether a name is that of an activation that is known.</summary>
    public static bool Knows(string name) => name is "silu" or "swish" or "gelu" or "gelu_python" or "gelu_new" or "gelu_fast"
        or "gelu_pytorch_tanh" or "gelu_python_tanh" or "relu" or "relu2" or "tanh" or "sigmoid";

    /// <summary>Reads a gated hidden layer, <c>f(gate) · up</c>.</summary>
    public static DenseOptions Gated(
        HuggingFaceConfig config, int hidden, bool bias = false, string key = "hidden_act", string otherwise = "silu")
    {
        var name = config.Text(key, otherwise);
        DenseOptions? found = name switch
        {
            "silu" or "swish" => new SwiGluOptions(hidden),
            "gelu" or "gelu_python" => new GeGluOptions(hidden),
            "gelu_new" or "gelu_fast" or "gelu_pytorch_tanh" or "gelu_python_tanh" => new GeGluTanhOptions(hidden),
            "relu" => new ReGluOptions(hidden),
            "sigmoid" => new GluOptions(hidden),
            _ => null,
        };
        return (found ?? throw config.Problem(key, name, "silu, gelu, gelu_new, gelu_pytorch_tanh, relu, sigmoid")) with
        {
            Bias = bias,
        };
    }

    /// <summary>Reads a hidden layer without a gate, <c>f(up)</c>.</summary>
    public static DenseOptions Plain(HuggingFaceConfig config, string key, string otherwise, int hidden, bool bias)
    {
        var name = config.Text(key, otherwise);
        DenseOptions? found = name switch
        {
            "silu" or "swish" => new SiluOptions(hidden),
            "gelu" or "gelu_python" => new GeluOptions(hidden),
            "gelu_new" or "gelu_fast" or "gelu_pytorch_tanh" or "gelu_python_tanh" => new GeluTanhOptions(hidden),
            "relu" => new ReluOptions(hidden),
            "relu2" => new ReluSquaredOptions(hidden),
            "tanh" => new TanhOptions(hidden),
            "sigmoid" => new SigmoidOptions(hidden),
            _ => null,
        };
        return (found ?? throw config.Problem(key, name, "silu, gelu, gelu_new, gelu_pytorch_tanh, relu, relu2, tanh, sigmoid")) with
        {
            Bias = bias,
        };
    }

    /// <summary>Writes the name of an activation.</summary>
    public static void Write(DenseOptions dense, JsonObject config, string key = "hidden_act") => config[key] = dense switch
    {
        SwiGluOptions or SiluOptions => "silu",
        GeGluOptions or GeluOptions => "gelu",
        GeGluTanhOptions => "gelu_pytorch_tanh",
        GeluTanhOptions => "gelu_new",
        ReGluOptions or ReluOptions => "relu",
        ReluSquaredOptions => "relu2",
        TanhOptions => "tanh",
        GluOptions or SigmoidOptions => "sigmoid",
        _ => throw new RecipeException(
            "model.decoder.feedForward.kind", $"is {Parts.NameOf(dense)}, which {HuggingFaceConfig.File} has no name for"),
    };
}
