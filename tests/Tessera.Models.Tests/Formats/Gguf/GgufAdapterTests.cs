using Tessera.Models.Conversion;
using Tessera.Models.Formats;
using Tessera.Models.Formats.Gguf;
using Tessera.Models.Formats.HuggingFace;
using Tessera.Nn.Lora;
using Tessera.Tensors;
using Tessera.Testing;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>Low-rank adapters of a model that lies in a GGUF file.</summary>
public sealed class GgufAdapterTests : IDisposable
{
    private static readonly LoraOptions s_options = new() { Rank = 3, Alpha = 5, Targets = ["*.q_proj", "*.down_proj", "embed_tokens"] };

    private readonly TemporaryFolder _folder = new();

    public GgufAdapterTests()
    {
        File.Copy(Fixture.Local("gguf/llama-q4_0.gguf"), _folder.File("base.gguf"));
        var model = ModelFolder.Load(_folder.File("base.gguf"));
        var adapters = LoraAdapters.Attach(model.Model, s_options, new CounterRandom(1));
        var random = new Random(2);
        foreach (var (_, parameter) in adapters.Parameters())
            foreach (ref var number in parameter.Value.Floats) number = (random.NextSingle() - 0.5f) / 2;
        PeftAdapter.Save(_folder.File("adapter"), adapters, s_options, model.Model, model.NamesOf(adapters), "../base.gguf");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_has_the_names_that_PEFT_gives_it_over_the_same_model_of_transformers()
    {
        using var file = SafetensorsFile.Open(_folder.File("adapter/adapter_model.safetensors"));
        Assert.Contains("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", file.Tensors.Keys);
        Assert.Contains("base_model.model.model.embed_tokens.lora_embedding_A", file.Tensors.Keys);
        ModelConversion.Convert(_folder.File("base.gguf"), _folder.File("hf"), new ConversionOptions { Type = ElementType.F32 });
        var there = ModelFolder.Load(_folder.File("hf")).Adapt(_folder.File("adapter"));
        Same(Logits(ModelFolder.Load(_folder.File("adapter"))), Logits(there));
    }

    [Theory]
    [InlineData("merged.gguf", "gguf llama")]
    [InlineData("merged", "safetensors LlamaForCausalLM")]
    public void Merged_it_is_a_model_that_computes_the_same(string target, string format)
    {
        var adapted = ModelFolder.Load(_folder.File("adapter"));
        var apart = Logits(adapted);
        adapted.Adapters!.Merge();
        Assert.Equal(format, adapted.Save(_folder.File(target)).Format);
        var merged = ModelFolder.Load(_folder.File(target));
        Assert.Null(merged.Adapters);
        Same(apart, Logits(merged));
        Assert.Equal(adapted.Tokenizer.Encode("The quick"), merged.Tokenizer.Encode("The quick"));
    }

    [Theory]
    [InlineData("base.gguf", "merged.gguf")]
    [InlineData("base.gguf", "merged")]
    [InlineData("hf", "merged.gguf")]
    [InlineData("hf", "merged")]
    public void What_it_learned_of_prompts_goes_with_it(string start, string target)
    {
        const string Template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}";
        ModelConversion.Convert(_folder.File("base.gguf"), _folder.File("hf"), new ConversionOptions { Type = ElementType.F32 });
        File.WriteAllText(_folder.File("adapter/prompt.json"), """{ "separator": "\n" }""");
        File.WriteAllText(_folder.File("adapter/chat_template.jinja"), Template);
        var adapted = ModelFolder.Load(_folder.File(start)).Adapt(_folder.File("adapter"));
        Assert.Equal((true, "\n", Template), Prompts(adapted));
        adapted.Adapters!.Merge();
        var result = adapted.Save(_folder.File(target));
        var merged = Prompts(ModelFolder.Load(_folder.File(target)));
        if (target == "merged") Assert.Equal((true, "\n", Template), merged);
        else Assert.Contains(result.Notes, note => note.StartsWith("the model was trained on pairs", StringComparison.Ordinal));
        Assert.Equal(Template, merged.Template);

        static (bool ReadsPairs, string Separator, string? Template) Prompts(ModelFolder folder) =>
            (folder.PromptFormat.ReadsPairs, folder.PromptFormat.Separator, folder.PromptFormat.ChatTemplate?.Source);
    }

    [Fact]
    public void Merged_it_can_be_quantized_again()
    {
        var adapted = ModelFolder.Load(_folder.File("adapter"));
        adapted.Adapters!.Merge();
        adapted.Save(_folder.File("merged.gguf"), ElementType.Q8_0);
        using var file = GgufFile.Open(_folder.File("merged.gguf"));
        Assert.Equal("Q8_0", file["blk.0.attn_q.weight"].Type);
        Assert.Throws<ArgumentException>(() => adapted.Save(_folder.File("merged"), ElementType.Q8_0));
        Assert.Throws<IOException>(() => adapted.Save(_folder.File("base.gguf")));
    }

    [Fact]
    public void Switched_off_it_is_the_base_and_on_again_itself()
    {
        var whole = Logits(ModelFolder.Load(_folder.File("base.gguf")));
        var adapted = ModelFolder.Load(_folder.File("base.gguf")).Adapt(_folder.File("adapter"));
        var on = Logits(adapted);
        adapted.Adapters!.IsActive = false;
        Assert.Equal(whole, Logits(adapted));
        adapted.Adapters.IsActive = true;
        Assert.Equal(on, Logits(adapted));
        Assert.NotEqual(whole, on);
        adapted.Adapters.IsActive = false;
        adapted.Adapters.Merge();
        Same(on, Logits(adapted));
    }

    [Fact]
    public void Its_folder_says_what_it_is_without_its_base()
    {
        File.Delete(_folder.File("base.gguf"));
        var adapter = PeftAdapter.Describe(_folder.File("adapter"));
        Assert.Equal(("../base.gguf", false, "true"), (adapter.Base, adapter.IsBaseThere, adapter.Initialization));
        Assert.Equal([3], adapter.Ranks);
        Assert.Equal([5.0 / 3], adapter.Factors);
        Assert.Equal(5, adapter.Modules.Count);
    }

    [Fact]
    public void An_adapter_beside_another_and_a_folder_without_one_are_refused()
    {
        var adapted = ModelFolder.Load(_folder.File("adapter"));
        Assert.Contains("has adapters already", Assert.Throws<InvalidDataException>(() => adapted.Adapt(_folder.File("adapter"))).Message, StringComparison.Ordinal);
        var plain = ModelFolder.Load(_folder.File("base.gguf"));
        Assert.Contains("holds no adapter", Assert.Throws<FileNotFoundException>(() => plain.Adapt(_folder.Path)).Message, StringComparison.Ordinal);
    }

    private static void Same(float[] expected, float[] found)
    {
        var rounding = 1e-5 * Math.Max(1, expected.Max(Math.Abs));
        for (var index = 0; index < expected.Length; index++) Assert.Equal(expected[index], found[index], rounding);
    }

    private static float[] Logits(ModelFolder folder)
    {
        int[] ids = [.. Enumerable.Range(0, 20).Select(place => place * 37 % folder.Model.Vocabulary)];
        using var scope = Arena.Current.Scope();
        var inputs = Tensor.From(ids, [1, ids.Length]);
        var batch = Batch.Of(inputs, inputs, Batch.PositionsFromStart(1, ids.Length));
        return folder.Model.Logits(batch, batch.Context()).ToArray();
    }
}
