def main(): print("photopeak")
