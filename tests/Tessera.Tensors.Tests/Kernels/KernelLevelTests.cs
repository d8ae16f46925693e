using Tessera.Tensors.Kernels;
using Tessera.Tensors.Kernels.Jit;
using static Iced.Intel.AssemblerRegisters;

namespace Tessera.Tensors.Tests.Kernels;

public class KernelLevelTests
{
    private const string Names = "scalar, vector128, vector256, vector512, avx512-vnni, avx512-bf16, amx";

    private static readonly ProcessorFeatures s_all =
        new() { Vectors = KernelLevel.Vector512, Vnni = true, Bf16 = true, Bf16DotsPay = true, Amx = true };

    [Theory]
    [InlineData("scalar", "scalar")]
    [InlineData("SCALAR", "scalar")]
    [InlineData("avx512-bf16", "avx512-bf16")]
    [InlineData("Amx", "amx")]
    [InlineData(null, "amx")]
    [InlineData("", "amx")]
    public void A_level_is_chosen_by_its_name_and_is_the_highest_without_one(string? name, string level) =>
        Assert.Equal(level, KernelLevels.Choose(name, s_all).Name());

    [Theory]
    [InlineData("avx2")]
    [InlineData("1")]
    [InlineData("scalar,vector128")]
    [InlineData(" ")]
    public void Another_name_is_refused_with_those_that_are_allowed(string name)
    {
        var error = Assert.Throws<InvalidOperationException>(() => KernelLevels.Choose(name, s_all));
        Assert.Equal($"TESSERA_KERNELS must be one of {Names}; found '{name}'", error.Message);
    }

    [Fact]
    public void Every_level_can_be_chosen_up_to_the_highest_and_none_above()
    {
        ProcessorFeatures[] machines =
        [
            s_all, s_all with { TilesRefused = "no tiles" }, s_all with { Amx = false, Bf16DotsPay = false }, s_all with { Bf16 = false },
            s_all with { PagesRefused = "no pages" }, new() { Vectors = KernelLevel.Vector256 }, new() { Vectors = KernelLevel.Scalar },
        ];
        foreach (var here in machines)
        {
            var (highest, because) = here.Highest;
            foreach (var level in Enum.GetValues<KernelLevel>())
            {
                if (level <= highest) Assert.Equal(level, KernelLevels.Choose(level.Name(), here));
                else
                    Assert.Equal(
                        $"TESSERA_KERNELS asks for {level.Name()}, but {highest.Name()} is the highest here: {because}",
                        Assert.Throws<InvalidOperationException>(() => KernelLevels.Choose(level.Name(), here)).Message);
            }
        }
    }

    [Fact]
    public void Bf16_dot_products_slower_than_f32_are_not_chosen_but_can_be_asked_for()
    {
        var slow = s_all with { Amx = false, Bf16DotsPay = false };
        Assert.Equal(KernelLevel.Avx512Bf16, slow.Highest.Level);
        Assert.Equal((KernelLevel.Avx512Vnni, "this processor's BF16 dot products do less than its F32 multiplications"), slow.Best);
        Assert.Equal(KernelLevel.Avx512Vnni, KernelLevels.Choose(null, slow));
        Assert.Equal(KernelLevel.Avx512Bf16, KernelLevels.Choose("avx512-bf16", slow));
        Assert.Equal(KernelLevel.Avx512Bf16, (slow with { Bf16DotsPay = true }).Best.Level);
        Assert.Equal(KernelLevel.Amx, (slow with { Amx = true }).Best.Level);
    }

    /// <summary>What decides is far from the limit on every processor known, so that it is the same each time.</summary>
    [LevelFact(KernelLevel.Avx512Bf16, atAnyLevel: true)]
    public void Whether_bf16_dot_products_pay_is_measured_alike_each_time()
    {
        var first = Bf16Rate.DotsPay();
        for (var i = 0; i < 20; i++) Assert.Equal(first, Bf16Rate.DotsPay());
    }

    [Fact]
    public void The_highest_level_is_what_processor_and_system_have_in_common()
    {
        Assert.Equal((KernelLevel.Amx, ""), s_all.Highest);
        Assert.Equal((KernelLevel.Avx512Bf16, "no tiles"), (s_all with { TilesRefused = "no tiles" }).Highest);
        Assert.Equal((KernelLevel.Vector512, "no pages"), (s_all with { PagesRefused = "no pages" }).Highest);
        Assert.Equal((KernelLevel.Avx512Bf16, "this processor has no AMX"), (s_all with { Amx = false }).Highest);
        Assert.Equal((KernelLevel.Avx512Vnni, "this processor has no AVX-512 BF16"), (s_all with { Bf16 = false }).Highest);
        Assert.Equal((KernelLevel.Vector512, "this processor has no AVX-512 VNNI"), (s_all with { Vnni = false }).Highest);
        Assert.Equal(
            (KernelLevel.Vector256, ".NET offers no vector512 here"),
            (s_all with { Vectors = KernelLevel.Vector256, Vnni = false }).Highest);
    }

    [Theory]
    [InlineData(7, 1, 1 << 11, 1 << 5, 7 << 22, "avx512-bf16")] // bit 23 of three is no AMX
    [InlineData(7, 1, 1 << 11, 1 << 5, (1 << 22) | (3 << 24), "amx")]
    [InlineData(7, 1, 1 << 11, 1 << 5, 3 << 24, "avx512-bf16")] // 8-bit tiles without BF16
    [InlineData(7, 1, -1, 0, -1, "avx512-vnni")]
    [InlineData(7, 1, ~(1 << 11), -1, -1, "vector512")]
    [InlineData(7, 0, -1, -1, -1, "avx512-vnni")] // no subleaf 1: what it answers is another's
    [InlineData(6, 1, -1, -1, -1, "vector512")] // no leaf 7
    [InlineData(0, 0, -1, -1, -1, "vector512")]
    [InlineData(-1, 0, -1, -1, -1, "vector512")]
    public void A_processor_has_what_the_leaves_that_it_has_say(int leaves, int subleaves, int ecx, int more, int edx, string highest)
    {
        (int, int, int, int) Ask(int leaf, int subleaf) => (leaf, subleaf) switch
        {
            (0, 0) => (leaves, -1, -1, -1),
            (7, 0) => (subleaves, -1, ecx, edx),
            (7, 1) => (more, -1, -1, -1),
            _ => throw new InvalidOperationException($"leaf {leaf}, {subleaf} is not defined for this"),
        };
        Assert.Equal(highest, ProcessorFeatures.Of(KernelLevel.Vector512, Ask).Highest.Level.Name());
        Assert.Equal(KernelLevel.Vector256, ProcessorFeatures.Of(KernelLevel.Vector256, Ask).Highest.Level);
    }

    [ExecutablePagesFact]
    public unsafe void Assembled_code_runs_with_the_argument_it_is_given()
    {
        var add = AssembledCode.Assemble(code =>
        {
            code.mov(rax, __qword_ptr[rdi]);
            code.add(rax, 2);
            code.mov(__qword_ptr[rdi], rax);
            code.ret();
        });
        var value = 40L;
        add(&value);
        Assert.Equal(42, value);
    }
}

/// <summary>Runs where the system lets a program make executable pages.</summary>
public sealed class ExecutablePagesFactAttribute : FactAttribute
{
    /// <summary>Skips, saying why, where it does not.</summary>
    public ExecutablePagesFactAttribute() => Skip = ExecutablePages.WhyRefused();
}
