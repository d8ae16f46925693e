using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;

namespace Tessera.Models.Conversion;

/// <summary>The model that is to be written in another format, and where its tensors lie.</summary>
/// <param name="Folder">The model with its tokenizer.</param>
/// <param name="Tensors">Its weights.</param>
/// <param name="Names">Which of them is which.</param>
internal sealed record ConversionSource(ModelFolder Folder, TensorSource Tensors, TensorNames Names) : IDisposable
{
    /// <summary>Opens a model.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    /// <exception cref="InvalidDataException">It is damaged or not supported, or holds adapters.</exception>
    public static ConversionSource Open(string path)
    {
        var folder = ModelLoader.Load(path, asStored: true, check: false);
        try
        {
            if (folder.Adapters is not null)
                throw new InvalidDataException($"'{path}' holds adapters; merge them into their model first");
            var (options, tensors) = (folder.Config.Model, folder.Source!);
            var names = NamesOf(folder, options, tensors);
            Weights.Load(folder.Model, tensors, names, asStored: true, maps: false);
            return new ConversionSource(folder, tensors, names);
        }
        catch
        {
            folder.Source!.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Tensors.Dispose();

    private static TensorNames NamesOf(ModelFolder folder, ModelOptions options, TensorSource tensors) => tensors is GgufFile file
        ? GgufArchitectures.Of(file).Names((DecoderOptions)options, file.Tensors.ContainsKey)
        : folder.Family?.Names(options, tensors) ?? TensorNames.Identity(folder.Model);
}
