using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Nephos.Services.Tests.State;

/// <summary>A fact of an abstract class that is skipped, with the reason, in classes whose <see cref="NeedsProgramAttribute"/> is not met.</summary>
[XunitTestCaseDiscoverer("Nephos.Services.Tests.State.StoreFactDiscoverer", "Nephos.Services.Tests")]
[AttributeUsage(AttributeTargets.Method)]
public sealed class StoreFactAttribute : FactAttribute;

/// <summary>The tests of this class start a program that not every machine has.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NeedsProgramAttribute(string program) : Attribute
{
    public string Program => program;

    /// <summary>An environment variable without which they are skipped; null: none.</summary>
    public string? Variable { get; init; }

    /// <summary>Where the program is, or null.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);
}

public sealed class StoreFactDiscoverer(IMessageSink messages) : FactDiscoverer(messages)
{
    protected override IXunitTestCase CreateTestCase(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
        new StoreTestCase(DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod);
}

public sealed class StoreTestCase : XunitTestCase
{
    [Obsolete("Called by the deserializer.")]
    public StoreTestCase()
    {
    }

    public StoreTestCase(IMessageSink messages, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method)
        : base(messages, display, options, method)
    {
    }

    protected override string? GetSkipReason(IAttributeInfo factAttribute)
    {
        var attribute = TestMethod.TestClass.Class.GetCustomAttributes(typeof(NeedsProgramAttribute)).FirstOrDefault();
        var needed = attribute?.GetConstructorArguments().OfType<string>().Single();
        if (attribute?.GetNamedArgument<string>(nameof(NeedsProgramAttribute.Variable)) is { } variable && Environment.GetEnvironmentVariable(variable) is null)
        {
            return $"Set {variable}=1 to run it.";
        }
        return needed is null || NeedsProgramAttribute.Find(needed) is not null
            ? base.GetSkipReason(factAttribute)
            : $"There is no program '{needed}' on the path.";
    }
}
