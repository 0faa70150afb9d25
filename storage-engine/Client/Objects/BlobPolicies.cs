using System.Collections.Immutable;
using Nephos.Placement;

namespace Nephos.Client.Objects;

/// <summary>The storage policies by which blobs can be kept, and what each means.</summary>
internal static class BlobPolicies
{
    private static readonly (StoragePolicy Policy, BlobScheme Scheme)[] All =
    [
        (StoragePolicy.Replicated, BlobScheme.Replicated),
        (new("ec-2-1", IsDefault: false), BlobScheme.Coded2And1),
        (new("ec-4-2", IsDefault: false), BlobScheme.Coded4And2),
        (new("ec-8-3", IsDefault: false), BlobScheme.Coded8And3),
    ];

    /// <summary>Those for which every piece of a frame can have a device of its own.</summary>
    public static ImmutableArray<StoragePolicy> Offered(Ring ring) =>
        [.. All.Where(item => BlobLayout.Of(item.Scheme).Fits(ring)).Select(item => item.Policy)];

    /// <summary>The scheme of a policy; null stands for the default.</summary>
    /// <exception cref="ObjectEngineException"><c>Unavailable</c>: there is no such policy, or too few devices for it.</exception>
    public static BlobScheme SchemeOf(string? policy, Ring ring)
    {
        if (policy is null)
        {
            return BlobScheme.Replicated;
        }

        foreach (var (known, scheme) in All)
        {
            if (known.Name == policy)
            {
                return BlobLayout.Of(scheme).Fits(ring)
                    ? scheme
                    : throw new ObjectEngineException(
                        EngineFailure.Unavailable, $"The policy {policy} needs {BlobLayout.Of(scheme).PieceCount(ring)} devices in use.");
            }
        }

        throw new ObjectEngineException(EngineFailure.Unavailable, $"There is no policy {policy}.");
    }
}
