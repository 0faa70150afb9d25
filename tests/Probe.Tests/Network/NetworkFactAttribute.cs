using Nephos.Hypervisor.Network.Linux;
using Nephos.Hypervisor.Network.Plans;
using Nephos.Hypervisor.Network;
using Xunit;

namespace Nephos.Probe.Tests.Network;

/// <summary>Needs the right to make network namespaces; skipped with the reason where it is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class NetworkFactAttribute : FactAttribute
{
    private static readonly NetworkCapabilities Found = CapabilityProbe.Probe(new DataPlaneNames($"ntest-{Environment.ProcessId}"));

    public NetworkFactAttribute()
    {
        if (!Found.CanWire)
        {
            Skip = Found.Reason;
        }
    }
}

/// <summary>One after the other: they share the machine's namespaces and measure time.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class NetworkCollection
{
    public const string Name = "network";
}
