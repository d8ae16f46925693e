using System.Text.Json.Nodes;
using Tessera.Models.Formats;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn;

namespace Tessera.Models;

/// <summary>A line of published decoders: its <c>config.json</c> becomes <see cref="DecoderOptions"/>, which <see cref="DecoderModel"/> is
/// made of.</summary>
public abstract class DecoderFamily : Family
{
    /// <inheritdoc/>
    public sealed override bool Has(ModelOptions options) => options is DecoderOptions;

    /// <inheritdoc/>
    public sealed override TensorNames Names(ModelOptions options) => Names((DecoderOptions)options);

    /// <inheritdoc/>
    public sealed override ModelOptions Present(ModelOptions options, TensorSource checkpoint) =>
        Present((DecoderOptions)options, checkpoint);

    /// <inheritdoc cref="Family.Names(ModelOptions)"/>
    public abstract TensorNames Names(DecoderOptions options);

    /// <inheritdoc cref="Family.Present"/>
    public virtual DecoderOptions Present(DecoderOptions options, TensorSource checkpoint) => options;

    /// <inheritdoc/>
    protected abstract override DecoderOptions Read(HuggingFaceConfig config);

    /// <inheritdoc/>
    protected sealed override void Write(ModelOptions options, JsonObject config) =>
        Write(CanonicalOptions.Sized((DecoderOptions)options), config);

    /// <inheritdoc cref="Family.Write"/>
    /// <param name="options">With the sizes said that follow from others.</param>
    /// <param name="config">The object to fill in.</param>
    protected abstract void Write(DecoderOptions options, JsonObject config);

    /// <summary>A part of the kind that the family has.</summary>
    /// <exception cref="RecipeException">It is of another kind.</exception>
    protected T Part<T>(object? part, string key) where T : class => part as T
        ?? throw new RecipeException($"model.decoder.{key}", $"is {Parts.NameOf(part)}; allowed for {Name}: {Parts.NameOf(typeof(T))}");
}
