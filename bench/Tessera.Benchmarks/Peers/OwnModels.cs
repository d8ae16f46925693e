using Tessera.Models;
using Tessera.Models.Formats;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;
using Tessera.Nn.Mixers;

namespace Tessera.Benchmarks.Peers;

/// <summary>Small models of our own, as training leaves them in a folder: with our names, our scales of embeddings, our tokenizer.</summary>
internal static class OwnModels
{
    /// <summary>Tokens for models without, which llama.cpp does not run.</summary>
    public static GgmlVocabulary Tokens(int vocabulary) =>
        new("gpt2", ["<s>", "</s>", "a", "b", "ab", .. Enumerable.Range(5, vocabulary - 5).Select(id => $"<{id}>")])
        {
            PreTokenizer = "gpt-2",
            Merges = ["a b"],
            BeginId = 0,
            EndId = 1,
        };

    private const string Text = "The quick brown fox jumps over the lazy dog. In the year 1492 there were 3 ships; don't you think that they're the same? int x = a[i] + 10;";
    private const int Width = 64, Heads = 4;

    /// <summary>Writes them below a folder.</summary>
    /// <returns>Their folders.</returns>
    public static IEnumerable<string> Write(string place)
    {
        var tokenizer = BytePairTrainer.Train([Text], new BytePairTrainerOptions(300));
        foreach (var (name, options) in All())
        {
            var folder = Directory.CreateDirectory(Path.Combine(place, name)).FullName;
            Weights.Save(Path.Combine(folder, ModelFolder.WeightsFile), options.Build(tokenizer.VocabularySize, seed: 11));
            tokenizer.Save(folder);
            var config = new ModelConfig { Model = options, Vocabulary = tokenizer.VocabularySize, Length = 128, SourceLength = 0 };
            File.WriteAllText(Path.Combine(folder, ModelFolder.ConfigFile), RecipeJson.Write(config));
            yield return folder;
        }
    }

    private static IEnumerable<(string Name, DecoderOptions Options)> All()
    {
        var grouped = new MultiHeadOptions(Heads) { KeyValueHeads = 2, Position = new RotaryOptions() };
        var hidden = new SwiGluOptions(160);
        yield return ("own-dense", Decoder(grouped, hidden));
        yield return ("own-dense-tied-neighbours", Decoder(grouped with { Position = new RotaryOptions(Layout: RotaryLayout.Interleaved) }, hidden) with { TieEmbeddings = true });
        yield return ("own-norms-of-heads", Decoder(grouped with { QueryKeyNorm = new RmsNormOptions() }, hidden));
        yield return ("own-experts", Decoder(grouped, new ExpertsOptions(8, 2, new SwiGluOptions(96))) with { LogitScale = 2 });
        yield return ("own-gpt2", Decoder(new MultiHeadOptions(Heads) { Bias = true }, new GeluTanhOptions(128) { Bias = true }) with
        {
            TieEmbeddings = true,
            Decoder = new TransformerOptions
            {
                Layers = 2, Attention = new MultiHeadOptions(Heads) { Bias = true }, FeedForward = new GeluTanhOptions(128) { Bias = true }, Norm = new LayerNormOptions(), Position = new LearnedOptions(128),
            },
        });
        yield return ("own-latent", Decoder(
            new LatentOptions(Heads, 32, 16, 16, 16) { QLoraRank = 48 },
            new ExpertsOptions(8, 2, new SwiGluOptions(32), Shared: 1) { Router = new SigmoidRouterOptions { Scale = 2 } },
            new LayerVariant { Last = 0, FeedForward = hidden }) with { MtpDepth = 1 });
    }

    private static DecoderOptions Decoder(MixerOptions attention, FeedForwardOptions feedForward, params LayerVariant[] variants) => new()
    {
        Width = Width, Decoder = new TransformerOptions { Layers = 3, Attention = attention, FeedForward = feedForward, Variants = variants },
    };
}
