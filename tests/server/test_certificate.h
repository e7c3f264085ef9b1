#pragma once

namespace offerd {

// A self-signed pair for "localhost", for tests alone; valid from 2020 to 2120.
inline constexpr char kTestCertificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv\n"
    "c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM\n"
    "CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIDQF/3D4UWgmKyq\n"
    "w51t0JUX8OjitOcMRtm7FeiaSKTJO3YWX1YdGXFn8tSCLBtyGeXGXMYpKrQGwiet\n"
    "SaiaEkejTjBMMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0\n"
    "hwR/AAABMB0GA1UdDgQWBBR127mw1qtUngzqYxzsVf8k46LbtjAKBggqhkjOPQQD\n"
    "AgNJADBGAiEAj3LAaLVhtP3XCo88uWFeF2gYDPEKOoq0CNe5jhwN+oACIQDE53Uo\n"
    "KCuhWZfk9XF11WKmZzAFT/K7Zik2uYUCzT7qnQ==\n"
    "-----END CERTIFICATE-----\n";
inline constexpr char kTestKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgt0k++RPFjCVqz2ic\n"
    "RuqUl7UG7J7gBRjDBzrtzqRqRFehRANCAASA0Bf9w+FFoJisqsOdbdCVF/Do4rTn\n"
    "DEbZuxXomkikyTt2Fl9WHRlxZ/LUgiwbchnlxlzGKSq0BsInrUmomhJH\n"
    "-----END PRIVATE KEY-----\n";

// Of no certificate here.
inline constexpr char kOtherKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxa+kbgODq8c5FvVR\n"
    "JYuxDN4q+qNuElk19rYn+nnkLVmhRANCAASgF1wC61Jzi97XNg3IrZwMbk5GKTgt\n"
    "WnyhxAiebdOTHt7E63oKPl9JYQ0Q2qKpNYH0yXKLYBj5XNQru9Yrnwbh\n"
    "-----END PRIVATE KEY-----\n";

}  // namespace offerd
