using Tessera.Nn.Attention;
using Tessera.Nn.Norms;
using Tessera.Tensors;
using Tessera.Nn.Mixers;

namespace Tessera.Nn.Blocks;

/// <summary>
/// One depth of multi-token prediction: from the vectors h that predict a token, and the embeddings e of that token, those that
/// predict the one after it: <c>norm(layer(W [norm(e); norm(h)]))</c>. The layer is one more of the stack's; embeddings and head are
/// the model's.
/// <para>DeepSeek-AI 2024 (DeepSeek-V3), <see href="https://arxiv.org/abs/2412.19437"/>, section 2.2.</para>
/// </summary>
public sealed class MtpModule : Module
{
    private readonly Norm _embeddingNorm;
    private readonly Norm _hiddenNorm;
    private readonly Linear _joined;
    private readonly TransformerLayer _layer;
    private readonly Norm _norm;

    /// <summary>Builds the part.</summary>
    /// <param name="options">The stack whose norms and layers it uses.</param>
    /// <param name="part">Width, the stack's place, random numbers.</param>
    /// <param name="layer">Which layer of the stack it is, were it longer.</param>
    /// <exception cref="RecipeException">An option is not allowed.</exception>
    public MtpModule(TransformerOptions options, PartBuilder part, int layer)
    {
        _embeddingNorm = Own("enorm", options.Norm.Build(part.At("norm")));
        _hiddenNorm = Own("hnorm", options.Norm.Build(part.At("norm")));
        _joined = Own("eh_proj", new Linear(part.At("eh_proj"), 2 * part.Width, part.Width));
        _layer = Own(
            "layer", new TransformerLayer(options, part with { Depth = 2 * options.Layers }, layer, MixerRole.Causal, memoryWidth: 0));
        _norm = Own("shared_head.norm", options.Norm.Build(part.At("norm")));
    }

    /// <summary>The vectors that predict one token further on.</summary>
    /// <param name="hidden">[batch, length, width]: predict a token each.</param>
    /// <param name="embeddings">[batch, length, width]: of those tokens.</param>
    /// <param name="context">Of the whole sequence.</param>
    public Tensor Forward(Tensor hidden, Tensor embeddings, ForwardContext context) =>
        _norm.Forward(
            _layer.Forward(_joined.Forward(Op.Join(_embeddingNorm.Forward(embeddings), _hiddenNorm.Forward(hidden)), context), context));
}
