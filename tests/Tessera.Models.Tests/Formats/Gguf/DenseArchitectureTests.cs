using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Recipes;
using Tessera.Nn.Attention;
using Tessera.Nn.Blocks;
using Tessera.Nn.FeedForward;
using Tessera.Nn.Norms;
using Tessera.Nn.Positions;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>What files of the dense architectures after llama hold, by the keys and names that llama.cpp's converter writes and its models
/// read (conversion/*.py, src/models/*.cpp).</summary>
public sealed class DenseArchitectureTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(
        "gemma2", "gemma2", "attention.sliding_window=5 attn_logit_softcapping=3 final_logit_softcapping=5 attention.key_length=6 attention.head_count=4 attention.head_count_kv=2",
        "attn_norm post_attention_norm ffn_norm post_ffw_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down")]
    [InlineData(
        "gemma3", "gemma3", "attention.sliding_window=5 rope.freq_base=1000 rope.scaling.type=linear rope.scaling.factor=4 context_length=64",
        "attn_norm post_attention_norm ffn_norm post_ffw_norm attn_q attn_k attn_v attn_q_norm attn_k_norm attn_output ffn_gate ffn_up ffn_down")]
    [InlineData(
        "gemma3-layer-types", "gemma3", "attention.sliding_window_pattern=[false,true,true] rope.freq_base=1000 rope.freq_base_swa=50 final_logit_softcapping=4",
        "attn_norm post_attention_norm ffn_norm post_ffw_norm attn_q attn_k attn_v attn_q_norm attn_k_norm attn_output ffn_gate ffn_up ffn_down")]
    [InlineData(
        "phi3-longrope-partial", "phi3", "attention.sliding_window=0 rope.dimension_count=6 rope.scaling.original_context_length=16 rope.scaling.attn_factor=1.2247449",
        "attn_norm ffn_norm attn_qkv attn_output ffn_up ffn_down")]
    [InlineData("phi3-window", "phi3", "attention.sliding_window=6 rope.dimension_count=2", "attn_norm ffn_norm attn_qkv attn_output ffn_up ffn_down")]
    [InlineData(
        "olmo2", "olmo2", "attention.layer_norm_rms_epsilon=1E-05 rope.freq_base=100",
        "attn_q attn_k attn_v attn_q_norm attn_k_norm attn_output post_attention_norm ffn_gate ffn_up ffn_down post_ffw_norm")]
    [InlineData("starcoder2", "starcoder2", "attention.layer_norm_epsilon=1E-05 feed_forward_length=20", "attn_norm ffn_norm attn_q attn_k attn_v attn_output ffn_up ffn_down")]
    [InlineData("gpt-neox", "gptneox", "use_parallel_residual=true rope.dimension_count=4 attention.layer_norm_epsilon=1E-05", "attn_norm ffn_norm attn_qkv attn_output ffn_up ffn_down")]
    [InlineData("gpt-neox-one-after-the-other", "gptneox", "use_parallel_residual=false", "attn_norm ffn_norm attn_qkv attn_output ffn_up ffn_down")]
    [InlineData(
        "granite", "granite", "attention.scale=0.3 embedding_scale=3 residual_scale=0.22 logit_scale=0.7",
        "attn_norm ffn_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down")]
    [InlineData("smollm3", "smollm3", "rope.freq_base=100", "attn_norm ffn_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down")]
    [InlineData("cohere", "command-r", "logit_scale=0.0625 rope.scaling.type=none attention.layer_norm_epsilon=1E-05", "attn_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down")]
    [InlineData("cohere2", "cohere2", "logit_scale=0.25 attention.sliding_window=5 rope.scaling.type=none", "attn_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down")]
    public void A_folder_becomes_the_keys_and_tensors_of_its_architecture(string name, string architecture, string keys, string tensors)
    {
        using var file = Converted(name);
        Assert.Equal(architecture, file.Text("general.architecture"));
        foreach (var key in keys.Split(' ').Select(pair => pair.Split('=')))
            Assert.Equal((key[0], key[1]), (key[0], Shown(file.Metadata[$"{architecture}.{key[0]}"])));
        var found = file.Tensors.Keys
            .Where(tensor => tensor.StartsWith("blk.0.", StringComparison.Ordinal) && tensor.EndsWith(".weight", StringComparison.Ordinal))
            .Select(tensor => tensor["blk.0.".Length..^".weight".Length]);
        Assert.Equal(tensors.Split(' ').Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Norms_of_Gemma_hold_what_they_multiply_by()
    {
        using var source = TensorSource.Open(Fixture.Local("families/gemma3"));
        using var file = Converted("gemma3");
        foreach (var (theirs, ours) in new[]
        {
            ("blk.1.post_ffw_norm.weight", "model.layers.1.post_feedforward_layernorm.weight"),
            ("blk.2.attn_k_norm.weight", "model.layers.2.self_attn.k_norm.weight"), ("output_norm.weight", "model.norm.weight"),
        })
        {
            Assert.Equal(Floats(source, ours).Select(weight => 1 + weight), Floats(file, theirs));
        }
    }

    /// <summary>Of the first layer, by hand: head after head in the checkpoint, queries before keys before values in the file.</summary>
    [Fact]
    public void Queries_keys_and_values_of_GPT_NeoX_are_gathered_from_its_heads()
    {
        using var source = TensorSource.Open(Fixture.Local("families/gpt-neox"));
        using var file = Converted("gpt-neox");
        var theirs = Floats(file, "blk.0.attn_qkv.bias");
        var ours = Floats(source, "gpt_neox.layers.0.attention.query_key_value.bias");
        const int Heads = 2, Width = 8;
        for (var part = 0; part < 3; part++)
            for (var head = 0; head < Heads; head++)
                for (var i = 0; i < Width; i++)
                    Assert.Equal(ours[(((head * 3) + part) * Width) + i], theirs[(((part * Heads) + head) * Width) + i]);
    }

    /// <summary>Rows i and i + 2 of a head of four become neighbours, as llama.cpp turns them.</summary>
    [Theory]
    [InlineData("granite", 2)]
    [InlineData("smollm3", 3)] // a layer without positions, too
    public void Rows_of_queries_that_are_turned_together_become_neighbours(string name, int layer)
    {
        using var source = TensorSource.Open(Fixture.Local($"families/{name}"));
        using var file = Converted(name);
        var rows = Floats(source, $"model.layers.{layer}.self_attn.q_proj.weight").Chunk(16).ToArray();
        var expected = rows.Chunk(4).SelectMany(head => new[] { head[0], head[2], head[1], head[3] }).SelectMany(row => row);
        Assert.Equal(expected, Floats(file, $"blk.{layer}.attn_q.weight"));
    }

    [Fact]
    public void Divisors_of_LongRoPE_lie_in_two_tensors()
    {
        using var file = Converted("phi3-longrope-partial");
        Assert.Equal([1, 1.1f, 1.3f], Floats(file, "rope_factors_short.weight"));
        Assert.Equal([1.5f, 4, 7], Floats(file, "rope_factors_long.weight"));
        Assert.False(file.Tensors.ContainsKey("rope_freqs.weight"));
    }

    [Fact]
    public void Norms_of_queries_and_keys_of_Command_R_plus_come_back()
    {
        var options = Cohere(64);
        var model = options.Build(24, seed: 2);
        GgufModel.Writer(options, model).Save(_folder.File("plus.gguf"));
        using var file = GgufFile.Open(_folder.File("plus.gguf"));
        Assert.Equal([4, 2], file.Tensors["blk.63.attn_q_norm.weight"].Shape);
        Assert.Null(RecipeJson.FirstDifference(CanonicalOptions.Of(options), CanonicalOptions.Of(GgufModel.Open(file, asStored: false).Options)));
        Assert.EndsWith(
            "command-r: llama.cpp's command-r has norms of queries and keys in models of 64 layers or more, and in these alone",
            Assert.Throws<ArgumentException>(() => GgufArchitectures.For(Cohere(63))).Message, StringComparison.Ordinal);

        static DecoderOptions Cohere(int layers) => new()
        {
            Width = 8, EmbeddingScale = 1, TieEmbeddings = true, LogitScale = 0.5f,
            Decoder = new TransformerOptions
            {
                Layers = layers, Norm = new LayerNormOptions(Bias: false), NormPlacement = NormPlacement.ParallelOneNorm,
                FeedForward = new SwiGluOptions(8),
                Attention = new MultiHeadOptions(4)
                {
                    KeyValueHeads = 2, QueryKeyNorm = new LayerNormOptions(Bias: false), PerHeadQueryKeyNorm = true,
                    Position = new RotaryOptions(Layout: RotaryLayout.Interleaved),
                },
            },
        };
    }

    /// <summary>A model of plain parts is a Llama, unless it came from another family's folder or file.</summary>
    [Fact]
    public void A_plain_model_keeps_the_family_and_the_architecture_that_it_came_with()
    {
        var (file, back) = (_folder.File("phi3.gguf"), _folder.File("phi3"));
        ModelConversion.Convert(Fixture.Local("families/phi3-window"), file, new ConversionOptions());
        ModelConversion.Convert(file, back, new ConversionOptions());
        Assert.Equal("Phi-3", ModelFolder.Load(back).Family!.Name);
        Assert.Equal("llama", GgufArchitectures.For((DecoderOptions)ModelFolder.Load(Fixture.Local("families/phi3-longrope")).Config.Model is var options
            ? options with { Decoder = options.Decoder with { Attention = new MultiHeadOptions(4) { Position = new RotaryOptions() } } }
            : null!).Name);
    }

    [Theory]
    [InlineData("gemma2")]
    [InlineData("gemma3-layer-types")]
    [InlineData("phi3-longrope-partial")]
    [InlineData("olmo2")]
    [InlineData("starcoder2")]
    [InlineData("gpt-neox")]
    [InlineData("granite")]
    [InlineData("smollm3")]
    [InlineData("cohere")]
    [InlineData("cohere2")]
    public void A_file_whose_header_was_changed_is_a_model_or_one_clear_error(string name)
    {
        int header;
        using (var file = Converted(name)) header = (int)file.DataStart;
        var (bytes, path, random) = (File.ReadAllBytes(_folder.File($"{name}.gguf")), _folder.File("changed.gguf"), new Random(7));
        for (var mutation = 0; mutation < 300; mutation++)
        {
            var changed = bytes.ToArray();
            for (var change = random.Next(1, 4); change > 0; change--) changed[random.Next(header)] = (byte)random.Next(256);
            File.WriteAllBytes(path, changed);
            try
            {
                ModelFolder.Load(path, asStored: true);
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
            }
        }
    }

    private GgufFile Converted(string name)
    {
        var path = _folder.File($"{name}.gguf");
        ModelConversion.Convert(Fixture.Local($"families/{name}"), path, new ConversionOptions());
        return GgufFile.Open(path);
    }

    private static string Shown(GgufValue value) => value.Content switch
    {
        double number => ((float)number).ToString(System.Globalization.CultureInfo.InvariantCulture),
        bool truth => truth ? "true" : "false",
        ulong or string => $"{value.Content}",
        _ => $"[{string.Join(',', value.Items.Cast<bool>().Select(item => item ? "true" : "false"))}]",
    };

    private static float[] Floats(TensorSource source, string name)
    {
        var floats = new float[source[name].Count];
        source.ReadFloats(name, floats);
        return floats;
    }
}
