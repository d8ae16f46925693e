using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Caches;
using Tessera.Nn.Heads;
using Tessera.Tensors;

namespace Tessera.Models;

/// <summary>What a model is made of and what it costs.</summary>
/// <param name="Parts">The parts that own parameters, or have parts that do, in order.</param>
/// <param name="Parameters">All weights.</param>
/// <param name="ActiveParameters">Weights that take part in one token.</param>
/// <param name="WeightBytes">Memory of the weights, in the types they are held in.</param>
/// <param name="CacheBytes">Memory of the caches of one sequence, its source as long as itself.</param>
/// <param name="HeadsCacheBytes">As <paramref name="CacheBytes"/>, were latent attention to keep the keys and values of all heads.</param>
/// <param name="FlopsPerToken">Multiplications and additions for one token, forward; of an encoder-decoder for one token of
/// source and one of target.</param>
/// <param name="Length">The sequence length assumed.</param>
public sealed record ModelSummary(
    IReadOnlyList<PartSummary> Parts, long Parameters, long ActiveParameters, long WeightBytes, long CacheBytes, long HeadsCacheBytes,
    double FlopsPerToken, int Length)
{
    /// <summary>Summarises a model for sequences of <paramref name="length"/> tokens.</summary>
    public static ModelSummary Of(SequenceModel model, int length)
    {
        var parts = model.Modules()
            .Where(module => module.Module is not Backbone && module.Module.Parameters().Any())
            .Select(module => new PartSummary(
                module.Module is Head ? "head" : module.Name.Length == 0 ? "model" : module.Name,
                module.Module.GetType().Name,
                string.Join(", ", module.Module.OwnParameters.Select(own => $"{own.Name} {own.Parameter.Shape}")),
                module.Module.ParameterCount()))
            .ToList();
        var bytes = model
            .Parameters()
            .Where(own => own.Parameter.IsTrained)
            .Sum(own => own.Parameter.Type.Bytes(own.Parameter.Shape.Count));
        var cached = model.Backbone.Decoder is { } decoder ? CacheSet.BytesOf(decoder, length, length) : 0;
        var saved = (model.Backbone.Decoder?.Modules() ?? [])
            .Select(named => named.Module)
            .OfType<LatentAttention>()
            .Where(attention => attention.CacheLayout is not null)
            .Sum(attention =>
                attention.ExpandedLayout.BytesOf(length, length, ElementType.F32)
                - attention.CacheLayout!.BytesOf(length, length, ElementType.F32));
        return new ModelSummary(
            parts, model.ParameterCount(), model.ActiveParameterCount(), bytes, cached, cached + saved,
            model.FlopsPerToken(length), length);
    }
}

/// <summary>One part of a model.</summary>
/// <param name="Name">Its full name.</param>
/// <param name="Kind">Its class.</param>
/// <param name="Shapes">Its own parameters with their shapes.</param>
/// <param name="Parameters">Its weights, those of the parts below it included.</param>
public sealed record PartSummary(string Name, string Kind, string Shapes, long Parameters);
