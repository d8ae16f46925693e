using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;

namespace Tessera.Models.Formats.Gguf;

/// <summary>The names of gated feed-forward parts, dense or with experts, which all architectures but GPT-2's share.</summary>
internal static class GgufFeedForward
{
    private static readonly (string Ours, string Theirs)[] s_maps =
        [("gate_proj", "ffn_gate"), ("up_proj", "ffn_up"), ("down_proj", "ffn_down")];

    /// <summary>Adds the names of one layer.</summary>
    /// <param name="names">The table.</param>
    /// <param name="feedForward">The layer's part.</param>
    /// <param name="ours">Our name of the layer.</param>
    /// <param name="theirs">The file's.</param>
    public static void Add(TensorNames names, FeedForwardOptions feedForward, string ours, string theirs)
    {
        var experts = feedForward as ExpertsOptions;
        foreach (var (our, their) in s_maps)
        {
            if (experts is null)
            {
                names.Same($"{ours}.feed_forward.{our}.weight", $"{theirs}.{their}.weight");
                if (((DenseOptions)feedForward).Bias) names.Same($"{ours}.feed_forward.{our}.bias", $"{theirs}.{their}.bias");
                continue;
            }

            names.Same($"{ours}.feed_forward.experts.{our}", $"{theirs}.{their}_exps.weight");
            if (experts.Expert.Bias) names.Same($"{ours}.feed_forward.experts.{our}_bias", $"{theirs}.{their}_exps.bias");
            if (experts.SharedCount > 0) names.Same($"{ours}.feed_forward.shared_experts.{our}.weight", $"{theirs}.{their}_shexp.weight");
        }

        if (experts is null) return;
        names.Same($"{ours}.feed_forward.router.gate.weight", $"{theirs}.ffn_gate_inp.weight");
        if (experts.SharedGate) names.Same($"{ours}.feed_forward.shared_experts.gate.weight", $"{theirs}.ffn_gate_inp_shexp.weight");
        if (experts.Router is SoftmaxRouterOptions { Bias: true })
            names.Same($"{ours}.feed_forward.router.gate.bias", $"{theirs}.ffn_gate_inp.bias");
        if (experts.Router is SigmoidRouterOptions { Bias: true })
            names.Same($"{ours}.feed_forward.router.gate.e_score_correction_bias", $"{theirs}.exp_probs_b.bias");
    }
}
