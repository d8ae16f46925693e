using System.Runtime.CompilerServices;
using Tessera.Models;

namespace Tessera.Generation;

/// <summary>A generated text.</summary>
/// <param name="Text">The text.</param>
/// <param name="Tokens">Its tokens and score.</param>
public readonly record struct GeneratedText(string Text, Generated Tokens);

/// <summary>
/// A model with its tokenizer: texts in, texts out.
/// <code>
/// var model = LanguageModel.Load("runs/quickstart");
/// Console.WriteLine(model.Generate("Returns the larger of two numbers."));
/// </code>
/// </summary>
/// <param name="folder">The model.</param>
public sealed class LanguageModel(ModelFolder folder)
{
    /// <summary>What the model is made of.</summary>
    public ModelFolder Folder { get; } = folder;

    /// <summary>Loads the finished model of a run or of a model folder.</summary>
    /// <exception cref="IOException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static LanguageModel Load(string folder) => new(ModelFolder.Load(folder));

    /// <summary>The text for one prompt, greedy unless said otherwise.</summary>
    /// <exception cref="ArgumentException">The prompt is empty or longer than the model's context, or an option is out of range.</exception>
    public string Generate(string prompt, DecodingOptions? options = null, CancellationToken cancellation = default) =>
        Generate([prompt], options ?? new GreedyOptions(), null, cancellation)[0].Text;

    /// <summary>The texts for several prompts, decoded together.</summary>
    /// <param name="prompts">None empty or longer than the model's context.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="progress">Told how many are done.</param>
    /// <param name="cancellation">Stops between two tokens.</param>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, DecodingOptions options, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        int[][] ids = [.. prompts.Select(Encode)];
        var most = MostTokens(options, ids.Max(prompt => prompt.Length));
        var generated = Generator.Generate(Folder.Model, ids, options, most, progress, cancellation);
        return [.. generated.Select(tokens => new GeneratedText(Folder.Tokenizer.Decode([.. tokens.Ids]), tokens))];
    }

    /// <summary>The text for a prompt, piece by piece as it is generated; not for beam search.</summary>
    public async IAsyncEnumerable<string> StreamAsync(
        string prompt, DecodingOptions? options = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var decoding = options ?? new GreedyOptions();
        var pieces = new PieceDecoder(Folder.Tokenizer);
        var ids = Encode(prompt);
        using var tokens = Generator.Stream(Folder.Model, ids, decoding, MostTokens(decoding, ids.Length), cancellation).GetEnumerator();
        while (await Task.Run(tokens.MoveNext, cancellation).ConfigureAwait(false))
        {
            if (pieces.Add(tokens.Current) is { Length: > 0 } piece) yield return piece;
        }

        if (pieces.Rest() is { Length: > 0 } rest) yield return rest;
    }

    /// <summary>A prompt as the model reads it: a source with its end, or a beginning.</summary>
    private int[] Encode(string prompt)
    {
        if (string.IsNullOrWhiteSpace(prompt)) throw new ArgumentException("the prompt is empty");
        var ids = Folder.Tokenizer.EncodeOrdinary(prompt);
        var (config, translates) = (Folder.Config, Folder.Model.ReadsSource);
        var (found, allowed) = (ids.Length + 1, translates ? config.SourceLength : config.Length);
        if (found > allowed) throw new ArgumentException($"the prompt has {found} tokens; this model was trained on at most {allowed}");
        return translates ? [.. ids, SpecialTokens.End] : [SpecialTokens.Begin, .. ids];
    }

    /// <summary>How many tokens may follow: a beginning takes its place among the model's positions.</summary>
    private int MostTokens(DecodingOptions options, int longestPrompt)
    {
        var room = Folder.Model.LongestSequence - (Folder.Model.ReadsSource ? 0 : longestPrompt);
        if (options.MaximumTokens > room)
            throw new ArgumentException($"maximum tokens is {options.MaximumTokens}; allowed: 1 to {room}, the positions that this model has left");
        return Math.Min(options.MaximumTokens ?? Folder.Config.Length, room);
    }
}
