using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Recipes;
using Tessera.Models.Tests.Formats;
using Tessera.Nn;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.Experts;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Text.Tokenizers;
using Tessera.Nn.Mixers;
using Tessera.Nn.Attention.Patterns;

namespace Tessera.Models.Tests.Conversion;

/// <summary>Models built here, with what GGUF has no words for: scaled embeddings, scaled logits, neighbours paired.</summary>
public sealed class OwnModelTests : IDisposable
{
    private const int Width = 32, Heads = 4;
    private const string Text = "the quick brown fox jumps over the lazy dog and the other dog says hello";

    private static readonly BytePairTokenizer s_tokenizer = BytePairTrainer.Train([Text], new BytePairTrainerOptions(280));

    private static readonly Dictionary<string, (string Architecture, DecoderOptions Options)> s_models = new()
    {
        ["llama"] = ("llama", Decoder(Masked(), new SwiGluOptions(48))),
        ["neighbours"] = ("llama", Decoder(Masked() with { Position = new RotaryOptions(Layout: RotaryLayout.Interleaved, Positions: 64) }, new SwiGluOptions(48))),
        ["biases"] = ("llama", Decoder(Masked() with { Bias = true }, new SwiGluOptions(48) { Bias = true })),
        ["window"] = ("llama", Decoder(Masked() with { Pattern = new WindowPattern(5) }, new SwiGluOptions(48)) with { LogitScale = 0.5f }),
        ["tied experts"] = ("llama", Decoder(Masked(), new ExpertsOptions(4, 2, new SwiGluOptions(24))) with { TieEmbeddings = true }),
        ["llama 3 scaling and a later token"] = ("llama", Decoder(Masked() with { Position = new RotaryOptions(Positions: 64) { Scaling = new Llama3Scaling(8, 16) } }, new SwiGluOptions(48)) with { MtpDepth = 1 }),
        ["given divisors"] = ("llama", Decoder(Masked() with { Position = new RotaryOptions(Positions: 64) { Scaling = new Llama3Scaling(6, 20, 1.5, 3) } }, new SwiGluOptions(48))),
        ["qwen2 with YaRN"] = ("qwen2", Decoder(Masked() with { Bias = true, OutputBias = false, Position = new RotaryOptions(Positions: 64) { Scaling = new YarnScaling(4, 16) } }, new SwiGluOptions(48))),
        ["qwen3 tied"] = ("qwen3", Decoder(Masked() with { HeadWidth = 12, QueryKeyNorm = new RmsNormOptions() }, new SwiGluOptions(48)) with { TieEmbeddings = true, EmbeddingScale = 1 }),
        ["qwen3 with experts"] = ("qwen3moe", Decoder(Masked() with { QueryKeyNorm = new RmsNormOptions() }, new ExpertsOptions(4, 2, new SwiGluOptions(24)))),
        ["deepseek softmax"] = ("deepseek2", Latent(new SoftmaxRouterOptions(false) { Scale = 2, Groups = 2, ActiveGroups = 1 }, 24)),
        ["deepseek sigmoid without query latent"] = ("deepseek2", Latent(new SigmoidRouterOptions { Bias = false, Groups = 2, ActiveGroups = 1 }, null)),
        ["gpt2"] = ("gpt2", new DecoderOptions
        {
            Width = Width, TieEmbeddings = true,
            Decoder = new TransformerOptions
            {
                Layers = 2, Attention = new MultiHeadOptions(Heads) { Bias = true }, FeedForward = new GeluTanhOptions(40) { Bias = true },
                Norm = new LayerNormOptions(), Position = new LearnedOptions(64),
            },
        }),
    };

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Models => [.. s_models.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Models))]
    public void A_model_says_the_same_after_a_conversion(string name)
    {
        var (architecture, options) = s_models[name];
        var (source, file) = (Save(options), _folder.File("model.gguf"));
        var result = ModelConversion.Convert(source, file, new ConversionOptions());
        Assert.Equal($"gguf {architecture}", result.Format);
        var (before, after) = (ModelFolder.Load(source), ModelFolder.Load(file, asStored: true));
        int[] ids = [.. Enumerable.Range(0, 30).Select(i => (i * 37) % s_tokenizer.VocabularySize)];
        foreach (var (expected, found) in LogitsOf(before.Model, ids).Zip(LogitsOf(after.Model, ids))) Assert.Equal(expected, found, 2e-5);

        // What stands before a text, and its tokens, are the model's own as well.
        Assert.Equal(before.PromptFormat.EncodePrompt(before.Tokenizer, Text), after.PromptFormat.EncodePrompt(after.Tokenizer, Text));
        Assert.Equal(before.PromptFormat.StopTokens, after.PromptFormat.StopTokens);
        Assert.Equal(s_tokenizer.PaddingId, after.Tokenizer.PaddingId);
    }

    [Theory]
    [InlineData("llama", "LlamaForCausalLM", "the scale of embeddings, 5.656854, is multiplied into the tables")]
    [InlineData("biases", "LlamaForCausalLM", "the scale of embeddings, 5.656854, is multiplied into the tables")]
    [InlineData("window", "MistralForCausalLM", "the scale of embeddings, 5.656854, and the scale of logits, 0.5, are multiplied into the tables")]
    [InlineData("tied experts", "MixtralForCausalLM", "the scale of embeddings, 5.656854, is multiplied into the tables, of which the tied one becomes two")]
    [InlineData("qwen3 tied", "Qwen3ForCausalLM", null)]
    public void Scales_that_a_family_has_no_key_for_become_part_of_its_tables(string name, string architecture, string? note)
    {
        var (source, target) = (Save(s_models[name].Options), _folder.File("hf"));
        var result = ModelConversion.Convert(source, target, new ConversionOptions());
        Assert.Equal($"safetensors {architecture}", result.Format);
        Assert.Equal(note is null ? [] : [note], result.Notes);
        var (before, after) = (ModelFolder.Load(source), ModelFolder.Load(target));
        Assert.Equal(1, after.Config.Model.EmbeddingScale);
        int[] ids = [.. Enumerable.Range(0, 30).Select(i => (i * 37) % s_tokenizer.VocabularySize)];
        foreach (var (expected, found) in LogitsOf(before.Model, ids).Zip(LogitsOf(after.Model, ids))) Assert.Equal(expected, found, 2e-5);
    }

    [Fact]
    public void The_width_of_dense_layers_that_a_source_names_is_kept_where_it_has_none()
    {
        // As llama.cpp's converter, which writes config.json's intermediate_size whether a layer is so wide or not.
        ModelConversion.Convert(Save(s_models["qwen3 with experts"].Options with { EmbeddingScale = 1 }), _folder.File("hf"), new ConversionOptions());
        var config = Path.Combine(_folder.File("hf"), ModelFolder.ConfigFile);
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"intermediate_size\": 24", "\"intermediate_size\": 99", StringComparison.Ordinal));
        ModelConversion.Convert(_folder.File("hf"), _folder.File("a.gguf"), new ConversionOptions());
        ModelConversion.Convert(_folder.File("a.gguf"), _folder.File("b"), new ConversionOptions());
        ModelConversion.Convert(_folder.File("b"), _folder.File("b.gguf"), new ConversionOptions());
        foreach (var name in (string[])["a.gguf", "b.gguf"])
        {
            using var file = GgufFile.Open(_folder.File(name));
            Assert.Equal(99, file.Whole("qwen3moe.feed_forward_length"));
        }
    }

    [Fact]
    public void Settings_that_a_target_has_no_place_for_are_named()
    {
        var own = Save(s_models["qwen3 tied"].Options with { EmbeddingScale = 1 });
        Assert.Empty(ModelConversion.Convert(own, _folder.File("hf"), new ConversionOptions()).Notes);
        var (config, generation) = (Path.Combine(_folder.File("hf"), ModelFolder.ConfigFile), Path.Combine(_folder.File("hf"), "generation_config.json"));
        File.WriteAllText(config, "{\"router_z\": 0.1, \"attention_dropout\": 0.0, \"torch_dtype\": \"float32\", " + File.ReadAllText(config).TrimStart()[1..]);
        File.WriteAllText(generation, "{\"eos_token_id\": 2, \"temperature\": 0.7, \"top_p\": 0.8, \"do_sample\": false, \"transformers_version\": \"5\"}");
        Assert.Equal(
            ["a GGUF file has no place for what the source's generation_config.json says of temperature, top_p"],
            ModelConversion.Convert(_folder.File("hf"), _folder.File("a.gguf"), new ConversionOptions()).Notes);
        Assert.Equal(
            ["the folder has no place for what the source's config.json says of router_z"],
            ModelConversion.Convert(_folder.File("hf"), _folder.File("again"), new ConversionOptions()).Notes);

        using (var file = GgufFile.Open(_folder.File("a.gguf")))
        {
            var writer = GgufModel.Writer((DecoderOptions)s_models["qwen3 tied"].Options, ModelFolder.Load(_folder.File("a.gguf")).Model);
            foreach (var (key, value) in file.Metadata) writer.Metadata[key] = value;
            writer.Metadata["general.license"] = GgufValue.Of("mit");
            writer.Metadata["tokenizer.ggml.fim_pre_token_id"] = GgufValue.Of(3u);
            writer.Save(_folder.File("b.gguf"));
        }

        Assert.Equal(
            ["the folder has no place for what the source's metadata says of general.license, tokenizer.ggml.fim_pre_token_id"],
            ModelConversion.Convert(_folder.File("b.gguf"), _folder.File("c"), new ConversionOptions()).Notes);
    }

    [Fact]
    public void A_text_begins_alike_whatever_file_of_a_model_is_asked()
    {
        var source = Save(s_models["llama"].Options);
        int[] expected = [SpecialTokens.Begin, .. s_tokenizer.EncodeOrdinary(Text)];
        Assert.Equal(expected, ModelFolder.Load(source).PromptFormat.EncodePrompt(s_tokenizer, Text));
        ModelConversion.Convert(source, _folder.File("begins.gguf"), new ConversionOptions());
        ModelConversion.Convert(_folder.File("begins.gguf"), _folder.File("begins"), new ConversionOptions());
        using var file = GgufFile.Open(_folder.File("begins.gguf"));
        Assert.Equal(expected, GgufTokenizer.Read(file).EncodeSequence(Text));
        string[] paths =
            [source, Path.Combine(source, "tokenizer.json"), _folder.File("begins"), _folder.File("begins/tokenizer.json")];
        foreach (var path in paths)
            Assert.Equal(expected, Tokenizer.Load(path).EncodeSequence(Text));
        File.Delete(_folder.File("begins/tokenizer_config.json"));
        Assert.Equal(expected, Tokenizer.Load(_folder.File("begins")).EncodeSequence(Text)); // its own file says it, too
    }

    [Fact]
    public void Models_that_no_architecture_can_say_are_refused_with_the_reason()
    {
        foreach (var (options, reason) in ((DecoderOptions, string)[])[
            (Decoder(Masked(), new SwiGluOptions(48)) with { LogitSoftCap = 30 }, "llama: it has a soft cap of logits"),
            (Decoder(Masked() with { SoftCap = 50 }, new SwiGluOptions(48)), "llama: its attention has a soft cap"),
            (Decoder(Masked() with { Sinks = true }, new SwiGluOptions(48)), "llama: its attention has sinks"),
            (Decoder(Masked(), new GeGluOptions(48)), "llama: its feed-forward is not SwiGLU"),
            (Decoder(Masked() with { Position = null }, new SwiGluOptions(48)), "llama: its attention has no rotary positions"),
            (Decoder(Masked() with { Position = new RotaryOptions(Positions: 64) { Width = 4, Scaling = new LinearScaling(2) } }, new SwiGluOptions(48)), "phi3: its positions are stretched otherwise than by LongRoPE"),
            (Decoder(Masked(), new SwiGluOptions(48)) is var offset ? offset with { Decoder = offset.Decoder with { Norm = new RmsNormOptions(UnitOffset: true) } } : offset, "llama: its norms multiply by one more than their weights"),
            (Decoder(Masked() with { Position = new RotaryOptions(Positions: 64) { Scaling = new DynamicScaling(2, 32) } }, new SwiGluOptions(48)), "llama: it has rotary scaling of kind dynamic, for which there are no keys"),
            (Decoder(Masked(), new ExpertsOptions(4, 2, new SwiGluOptions(24)) { Router = new SoftmaxRouterOptions(false) }), "llama: its router is not a softmax over all experts whose best are divided by their sum"),
            (Decoder(Masked() with { QueryKeyNorm = new RmsNormOptions(0.5f) }, new SwiGluOptions(48)), "qwen3: the norms of queries and keys are not those of the layers"),
            (Latent(new TwoStageRouterOptions(), 24), "deepseek2: its router is neither a softmax nor sigmoids"),
        ])
        {
            var target = _folder.File("refused.gguf");
            var error = Assert.Throws<ArgumentException>(() => ModelConversion.Convert(Save(options), target, new ConversionOptions { Overwrite = true }));
            Assert.StartsWith($"this model cannot be said in GGUF's architecture {reason}", error.Message, StringComparison.Ordinal);
            Assert.False(File.Exists(target));
        }
    }

    [Fact]
    public void Rows_that_are_no_whole_blocks_get_a_finer_type()
    {
        var (source, file) = (Save(Decoder(Masked(), new SwiGluOptions(48))), _folder.File("model.gguf"));
        var result = ModelConversion.Convert(source, file, new ConversionOptions { Type = ElementType.Q4_K });
        Assert.Contains(result.Notes, note => note.EndsWith("are not multiples of 256, the block of Q4_K: they are F16, Q8_0", StringComparison.Ordinal));
        using var tensors = TensorSource.Open(file);
        Assert.Equal("Q8_0", tensors["blk.0.ffn_up.weight"].Type); // 32 wide
        Assert.Equal("F16", tensors["blk.0.ffn_down.weight"].Type); // 48 wide
        Assert.Equal("F32", tensors["blk.0.attn_norm.weight"].Type);
    }

    private string Save(DecoderOptions options)
    {
        var folder = _folder.File("own");
        Directory.CreateDirectory(folder);
        var model = options.Build(s_tokenizer.VocabularySize, seed: 5);
        Weights.Save(Path.Combine(folder, ModelFolder.WeightsFile), model);
        s_tokenizer.Save(folder);
        File.WriteAllText(Path.Combine(folder, ModelFolder.ConfigFile), RecipeJson.Write(new ModelConfig
        {
            Model = options, Vocabulary = s_tokenizer.VocabularySize, Length = 64, SourceLength = 0,
        }));
        return folder;
    }

    private static MultiHeadOptions Masked() => new(Heads) { KeyValueHeads = 2, Position = new RotaryOptions(Positions: 64) };

    private static DecoderOptions Decoder(MixerOptions attention, FeedForwardOptions feedForward) => new()
    {
        Width = Width, Decoder = new TransformerOptions { Layers = 2, Attention = attention, FeedForward = feedForward },
    };

    private static DecoderOptions Latent(RouterOptions router, int? qLoraRank) => new()
    {
        Width = Width,
        Decoder = new TransformerOptions
        {
            Layers = 2, Attention = new LatentOptions(Heads, 16, 8, 4, 12) { QLoraRank = qLoraRank, Position = new RotaryOptions(Layout: RotaryLayout.Interleaved, Positions: 64) },
            FeedForward = new ExpertsOptions(4, 2, new SwiGluOptions(24), Shared: 1) { Router = router },
            Variants = [new LayerVariant { Last = 0, FeedForward = new SwiGluOptions(48) }],
        },
    };

    private static float[] LogitsOf(SequenceModel model, int[] ids)
    {
        using var scope = Arena.Current.Scope();
        var inputs = Tensor.From(ids, [1, ids.Length]);
        var batch = Batch.Of(inputs, inputs, Batch.PositionsFromStart(1, ids.Length));
        return model.Logits(batch, ForwardContext.At(batch.Positions)).ToArray();
    }
}
